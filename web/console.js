// The console: polls /v1/status once a second and shows it; runs SQL; follows the changes of one view.
// Everything that comes from the server is put into the page as text nodes, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

// ---- Building and patching the page

const kSvg = "http://www.w3.org/2000/svg";
const svgTags = new Set(["svg", "rect", "polyline"]);

/** An element with attributes (false and null leave one out) and children (strings become text). */
function h(tag, attributes, ...children) {
  const element = svgTags.has(tag) ? document.createElementNS(kSvg, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Makes `current` look like `wanted`, touching only what differs, so that focus and selection stay. */
function patch(current, wanted) {
  if (current.nodeType !== wanted.nodeType || current.nodeName !== wanted.nodeName) {
    current.replaceWith(wanted);
    return;
  }
  if (current.nodeType === Node.TEXT_NODE) {
    if (current.data !== wanted.data) current.data = wanted.data;
    return;
  }
  for (const { name } of [...current.attributes]) if (!wanted.hasAttribute(name)) current.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (current.getAttribute(name) !== value) current.setAttribute(name, value);
  patchChildren(current, [...wanted.childNodes]);
}

function patchChildren(parent, wanted) {
  const current = [...parent.childNodes];
  wanted.forEach((node, i) => (i < current.length ? patch(current[i], node) : parent.append(node)));
  current.slice(wanted.length).forEach((node) => node.remove());
}

// ---- Numbers for people

const dash = "–";
const known = (value) => value !== null && value !== undefined;
const count = (value) => (known(value) ? number.format(value) : dash);
const rate = (value) => (known(value) ? (value >= 10000 ? short.format(value) : one.format(value)) : dash);

function bytes(value) {
  if (!known(value)) return dash;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; value >= 1024 && i + 1 < units.length; ++i) value /= 1024;
  return `${(value >= 10 ? number : one).format(value >= 10 ? Math.round(value) : value)} ${units[i]}`;
}

function duration(seconds) {
  if (!known(seconds)) return dash;
  if (seconds < 0.001) return "0 ms";
  if (seconds < 1) return `${one.format(seconds * 1000)} ms`;
  if (seconds < 120) return `${one.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

const time = (text) => (text ? text.replace("T", " ").replace(/(\.\d{3})\d*Z$/, "$1Z") : dash);

// ---- State of the page

const state = {
  status: null,
  open: new Set(),         // streams whose partitions are shown
  history: new Map(),      // stream name -> rates of the last minute
  follow: null,            // EventSource of the followed view
};

function spark(values) {
  const max = Math.max(...values, 1);
  const points = values.map((value, i) => `${i},${(15 - (14 * value) / max).toFixed(1)}`).join(" ");
  return h("svg", { class: "spark", viewBox: "0 0 59 16", preserveAspectRatio: "none", "aria-hidden": "true" }, h("polyline", { points }));
}

// ---- Overview

function tiles(status) {
  const tile = (label, value, alert) => h("div", { class: alert ? "alert" : null }, h("dt", null, label), h("dd", { title: value }, value));
  const total = (status.streams || []).reduce((sum, stream) => sum + (stream.records_per_second || 0), 0);
  const late = (status.streams || []).reduce((sum, stream) => sum + (stream.late_rows || 0), 0);
  return [
    tile("Epoch", count(status.epoch)),
    tile("Epochs/s", rate(status.epochs_per_second)),
    tile("Records/s", rate(total)),
    tile("Late rows", count(late)),
    tile("Dead letters", count(status.dead_letters), status.dead_letters > 0),
    tile("Checkpoint age", duration(status.checkpoint_age_s)),
    tile("Memory", bytes(status.memory_bytes)),
    tile("State", bytes(status.state_memory && status.state_memory.used_bytes)),
    tile("Spilled", bytes(status.state_memory && status.state_memory.spill_bytes)),
    tile("Sessions", count(status.sessions)),
    tile("Up for", duration(status.uptime_s)),
  ];
}

// ---- Views

function sharesOf(view) {
  if (view.routes && view.routes.length) return view.routes.filter((route) => route.percent > 0);
  return view.serving ? [{ version: view.serving, percent: 100 }] : [];
}

function shareBar(shares) {
  if (shares.length < 2) return null;
  let x = 0;
  const label = shares.map((share) => `version ${share.version}: ${share.percent} %`).join(", ");
  return h("svg", { class: "share", viewBox: "0 0 100 1", preserveAspectRatio: "none", role: "img", "aria-label": `Reads go to ${label}` },
    shares.map((share, i) => {
      const bar = h("rect", { class: `s${i % 4}`, x, y: 0, width: share.percent, height: 1 });
      x += share.percent;
      return bar;
    }));
}

function versionItem(view, version, shares) {
  const share = shares.find((each) => each.version === version.version);
  const promotable = version.version !== view.serving && (version.state === "ready" || version.state === "retired");
  return h("li", null,
    h("div", { class: "version" },
      h("span", { class: "name" }, `Version ${version.version}`),
      h("span", { class: `pill ${version.state}` }, version.state),
      share && shares.length > 1 ? h("span", { title: "share of reads" }, `${share.percent} %`) : null,
      h("span", null, `${count(version.rows)} rows`),
      version.digest ? h("span", { class: "digest", title: `digest ${version.digest}` }, version.digest.slice(0, 12)) : null,
      known(version.state_bytes) ? h("span", { class: "note" }, bytes(version.state_bytes)) : null,
      version.errors > 0 ? h("span", { class: "pill stopping", title: "rows in which an expression failed and gave NULL" }, `${count(version.errors)} errors`) : null,
      h("span", { class: "spacer" }),
      promotable ? h("button", { type: "button", class: "small", "data-action": "promote", "data-view": view.name, "data-version": version.version,
        "aria-label": `Promote version ${version.version} of ${view.name}` }, "Promote") : null),
    version.state === "replaying" ? h("div", { class: "replay" },
      h("progress", { max: 100, value: version.percent || 0, "aria-label": `Replay of version ${version.version} of ${view.name}` }),
      h("span", null, `${one.format(version.percent || 0)} %`),
      known(version.rows_per_second) ? h("span", null, `${rate(version.rows_per_second)} rows/s`) : null,
      known(version.eta_seconds) ? h("span", null, `${duration(version.eta_seconds)} left`) : null) : null,
    version.failure ? h("p", { class: "failure" }, version.failure) : null);
}

function viewCard(view) {
  const shares = sharesOf(view);
  const versions = [...(view.versions || [])].sort((a, b) => b.version - a.version);
  return h("article", { class: "card" },
    h("div", { class: "head" },
      h("h3", null, view.name),
      view.serving ? h("span", { class: "pill serving" }, `serves version ${view.serving}`) : h("span", { class: "pill replaying" }, "not ready"),
      h("span", { class: "actions" },
        h("button", { type: "button", class: "quiet small", "data-action": "follow", "data-view": view.name, "aria-label": `Follow the changes of ${view.name}` }, "Follow"),
        h("button", { type: "button", class: "quiet small", "data-action": "query", "data-view": view.name, "aria-label": `Query ${view.name}` }, "Query"),
        view.previous ? h("button", { type: "button", class: "quiet small", "data-action": "rollback", "data-view": view.name, "data-version": view.previous,
          "aria-label": `Roll ${view.name} back to version ${view.previous}` }, `Roll back to ${view.previous}`) : null)),
    h("p", { class: "facts" },
      h("span", null, h("b", null, count(view.rows)), " rows"),
      h("span", null, h("b", null, known(view.freshness_ms) ? duration(view.freshness_ms / 1000) : dash), " behind"),
      view.lag_records > 0 ? h("span", null, h("b", null, count(view.lag_records)), " records to go") : null,
      view.depends_on && view.depends_on.length ? h("span", null, `reads ${view.depends_on.join(", ")}`) : null),
    shareBar(shares),
    h("ul", { class: "versions" }, versions.map((version) => versionItem(view, version, shares))));
}

// ---- Streams and tables

function streamRows(stream) {
  const open = state.open.has(stream.name);
  const sum = (member) => (stream.partitions || []).reduce((total, partition) => total + (partition[member] || 0), 0);
  const rows = [h("tr", null,
    h("td", null, h("button", { type: "button", class: "disclose", "data-action": "partitions", "data-stream": stream.name, "aria-expanded": String(open) }, stream.name)),
    h("td", { class: "number" }, count((stream.partitions || []).length)),
    h("td", { class: "number" }, count(stream.records)),
    h("td", { class: "number" }, count(sum("end") - sum("visible"))),
    h("td", { class: "number" }, rate(stream.records_per_second), spark(state.history.get(stream.name) || [])),
    h("td", { class: "number" }, count(stream.late_rows)),
    h("td", { class: "number" }, count(stream.dead_letters)),
    h("td", null, time(stream.watermark)))];
  if (open) {
    for (const partition of stream.partitions || []) {
      rows.push(h("tr", { class: "sub" },
        h("td", null, `partition ${partition.partition}`, partition.idle ? " (idle)" : ""),
        h("td", null),
        h("td", { class: "number", title: "first kept offset to end" }, `${count(partition.start)} to ${count(partition.end)}`),
        h("td", { class: "number" }, count(partition.end - partition.visible)),
        h("td", null), h("td", null), h("td", null),
        h("td", null, time(partition.watermark))));
    }
  }
  return rows;
}

function streamTable(status) {
  if (!status.streams.length && !status.tables.length) {
    return h("p", { class: "empty" }, "There are no streams yet. ", h("code", null, "CREATE STREAM"), " makes one.");
  }
  const head = (...names) => h("thead", null, h("tr", null, names.map(([name, isNumber]) => h("th", { scope: "col", class: isNumber ? "number" : null }, name))));
  const region = (label, ...children) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);
  return h("div", null,
    status.streams.length ? region("Streams", h("table", null,
      head(["Stream"], ["Partitions", true], ["Records", true], ["To do", true], ["Records per second", true], ["Late rows", true], ["Dead letters", true], ["Watermark"]),
      h("tbody", null, status.streams.map(streamRows)))) : null,
    status.tables.length ? region("Tables", h("table", null,
      head(["Table"], ["Topic"], ["Rows", true]),
      h("tbody", null, status.tables.map((table) => h("tr", null, h("td", null, table.name), h("td", null, table.topic || dash), h("td", { class: "number" }, count(table.rows))))))) : null);
}

// ---- Polling

function show(status) {
  state.status = status;
  for (const stream of status.streams) {
    const values = state.history.get(stream.name) || new Array(60).fill(0);
    values.push(stream.records_per_second || 0);
    state.history.set(stream.name, values.slice(-60));
  }
  patchChildren(byId("tiles"), tiles(status));
  patchChildren(byId("view-list"), status.views.length ? status.views.map(viewCard)
    : [h("p", { class: "empty" }, "There are no views yet. ", h("code", null, "CREATE MATERIALIZED VIEW"), " makes one.")]);
  patchChildren(byId("stream-list"), [streamTable(status)]);
  patchChildren(byId("connection"), [h("span", { class: `pill ${status.state}` }, status.state)]);
  byId("unsafe").hidden = !status.unsafe;
  byId("build").textContent = `kappa ${status.version}`;
  const select = byId("changes-view");
  if (document.activeElement !== select) {
    const chosen = select.value;
    patchChildren(select, status.views.map((view) => h("option", { value: view.name }, view.name)));
    if (status.views.some((view) => view.name === chosen)) select.value = chosen;
  }
}

async function poll() {
  if (!document.hidden || !state.status) {
    try {
      const response = await fetch("/v1/status", { cache: "no-store" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      show({ streams: [], tables: [], views: [], ...(await response.json()) });
      byId("lost").hidden = true;
    } catch (error) {
      console.warn(error);
      byId("lost").hidden = false;
      patchChildren(byId("connection"), [h("span", { class: "pill lost" }, "no answer")]);
    }
  }
  setTimeout(poll, 1000);
}

// ---- Actions on views

function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return { ok: response.ok, body: await response.json() };
}

async function alterView(action, view, version) {
  const promote = action === "promote";
  const question = promote ? `Promote version ${version} of ${view}?` : `Roll ${view} back to version ${version}?`;
  const text = "Reads, dependent views and subscriptions move together, at the next epoch. The other version stays warm.";
  if (!(await confirmed(question, text, promote ? "Promote" : "Roll back"))) return;
  try {
    const answer = await post(`/v1/views/${encodeURIComponent(view)}/${action}`, promote ? { version } : {});
    if (!answer.ok) await confirmed("That did not work", [answer.body.message, answer.body.detail, answer.body.hint].filter(Boolean).join(" "), "Close");
  } catch (error) {
    await confirmed("That did not work", String(error), "Close");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const { action, view, version, stream } = button.dataset;
  if (action === "promote" || action === "rollback") alterView(action, view, Number(version));
  if (action === "follow") {
    byId("changes-view").value = view;
    follow(view);
    byId("changes").scrollIntoView();
  }
  if (action === "query") {
    const text = byId("sql-text");
    text.value = `SELECT * FROM "${view.replaceAll('"', '""')}" LIMIT 100`;
    text.focus();
    byId("sql-form").requestSubmit();
  }
  if (action === "partitions") {
    if (!state.open.delete(stream)) state.open.add(stream);
    if (state.status) patchChildren(byId("stream-list"), [streamTable(state.status)]);
  }
});

// ---- SQL

/** A number that JavaScript cannot hold, or would spell otherwise ("1.50"): kept as its text. */
class NumberText {
  constructor(text) { this.text = text; }
}
const parseRow = (json) => JSON.parse(json, (_, value, context) =>
  typeof value === "number" && context && context.source && context.source !== String(value) ? new NumberText(context.source) : value);
const isNumberValue = (value) => typeof value === "number" || value instanceof NumberText;

const numberTypes = /^(smallint|integer|bigint|oid|real|double precision|numeric)/;

function cell(value, isNumber) {
  if (value === null || value === undefined) return h("td", { class: "null" }, "null");
  const text = typeof value === "string" ? value : value instanceof NumberText ? value.text : JSON.stringify(value, (_, inner) => (inner instanceof NumberText ? Number(inner.text) : inner));
  return h("td", { class: isNumber ? "number" : null, title: text.length > 40 ? text : null }, text);
}

function resultTable(result) {
  const notices = (result.notices || []).map((notice) => h("p", { class: "note" }, `NOTICE: ${notice}`));
  if (!result.columns) return [...notices, h("p", { class: "note" }, result.tag)];
  const isNumber = result.columns.map((column) => numberTypes.test(column.type) && !column.type.endsWith("[]"));
  return [...notices,
    h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Result" }, h("table", null,
      h("caption", null, `${result.tag}, epoch ${count(result.epoch)}${result.truncated ? ", first rows only" : ""}`),
      h("thead", null, h("tr", null, result.columns.map((column, i) => h("th", { scope: "col", class: isNumber[i] ? "number" : null }, column.name, h("small", null, column.type))))),
      h("tbody", null, result.rows.map((row) => h("tr", null, row.map((value, i) => cell(value, isNumber[i])))))))];
}

function errorBox(error, query) {
  const lines = [];
  if (error.position > 0 && query) {  // the line, with a caret under the character
    const before = [...query].slice(0, error.position - 1).join("");
    const start = before.lastIndexOf("\n") + 1;
    const line = query.slice(start).split("\n")[0];
    lines.push(h("pre", null, `${line}\n${" ".repeat([...before.slice(start)].length)}^`));
  }
  return h("div", { class: "error", role: "alert" },
    h("p", null, h("b", null, "ERROR: "), error.message, " ", h("code", null, error.sqlstate)),
    lines,
    error.detail ? h("p", null, `DETAIL: ${error.detail}`) : null,
    error.hint ? h("p", null, `HINT: ${error.hint}`) : null);
}

byId("sql-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const query = byId("sql-text").value;
  if (!query.trim()) return;
  sessionStorage.setItem("query", query);
  const run = byId("sql-run");
  run.disabled = true;
  run.textContent = "Running";
  const started = performance.now();
  try {
    const { body } = await post("/v1/sql", { query, format: "text" });
    const children = (body.results || []).flatMap(resultTable);
    if (body.error || !body.results) children.push(errorBox(body.error || body, query));
    children.push(h("p", { class: "note" }, duration((performance.now() - started) / 1000)));
    byId("sql-result").replaceChildren(...children);
  } catch (error) {
    byId("sql-result").replaceChildren(errorBox({ message: `no answer from the server (${error.message})`, sqlstate: "08006" }));
  }
  run.disabled = false;
  run.textContent = "Run";
});
byId("sql-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("sql-form").requestSubmit();
});
byId("sql-text").value = sessionStorage.getItem("query") || "";

// ---- Live changes

const kRowsShown = 200;
const feed = { columns: [], rows: [], waiting: [], total: 0, epoch: 0, scheduled: false };

function drawFeed() {
  feed.scheduled = false;
  feed.rows = [...feed.waiting.reverse(), ...feed.rows].slice(0, kRowsShown);
  feed.waiting = [];
  const table = h("table", null,
    h("thead", null, h("tr", null, ["", "Epoch", ...feed.columns].map((name) => h("th", { scope: "col" }, name || h("span", { class: "hidden" }, "Change"))))),
    h("tbody", null, feed.rows.map((change) => h("tr", { class: change.op },
      h("td", null, change.op === "delete" ? "− delete" : "+ insert"), h("td", { class: "number" }, count(change.epoch)),
      feed.columns.map((name) => cell(change.row[name], isNumberValue(change.row[name])))))));
  patchChildren(byId("changes-rows"), feed.rows.length ? [table] : []);
  if (state.follow) byId("changes-state").textContent = `${number.format(feed.total)} changes, epoch ${number.format(feed.epoch)}.`;
}

function scheduleFeed() {
  if (feed.scheduled) return;
  feed.scheduled = true;
  setTimeout(drawFeed, 150);
}

function unfollow(text) {
  if (state.follow) state.follow.close();
  state.follow = null;
  byId("changes-toggle").textContent = "Follow";
  byId("changes-state").textContent = text;
}

function clearFeed() {
  Object.assign(feed, { columns: [], rows: [], waiting: [], total: 0 });
  scheduleFeed();
}

function follow(view) {
  if (!view) return;
  unfollow("");
  clearFeed();
  const source = new EventSource(`/v1/views/${encodeURIComponent(view)}/changes?snapshot=${byId("changes-snapshot").checked}`);
  state.follow = source;
  byId("changes-toggle").textContent = "Stop";
  byId("changes-state").textContent = `Following ${view}: no changes yet.`;
  source.addEventListener("change", (event) => {
    const change = parseRow(event.data);
    for (const name of Object.keys(change.row)) if (!feed.columns.includes(name)) feed.columns.push(name);
    feed.waiting.push(change);
    if (feed.waiting.length > kRowsShown) feed.waiting.shift();
    ++feed.total;
    scheduleFeed();
  });
  source.addEventListener("epoch", (event) => {
    feed.epoch = JSON.parse(event.data).epoch;
    scheduleFeed();
  });
  source.addEventListener("reset", () => {
    clearFeed();
    byId("changes-state").textContent = "The view was switched to another version.";
  });
  source.addEventListener("error", (event) => {
    if (source !== state.follow) return;
    if (event.data) unfollow(`Ended: ${JSON.parse(event.data).message}.`);
    else if (source.readyState === EventSource.CLOSED) unfollow("The server refused to stream this view.");
    else byId("changes-state").textContent = "Connection lost; trying again.";
  });
}

byId("changes-toggle").addEventListener("click", () => (state.follow ? unfollow("Stopped.") : follow(byId("changes-view").value)));
byId("changes-view").addEventListener("change", (event) => { if (state.follow) follow(event.target.value); });
byId("changes-clear").addEventListener("click", clearFeed);

// ---- Theme

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
byId("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});

poll();
