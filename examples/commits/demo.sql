-- 212,548 commits of eleven public repositories, in the order in which they were committed. Event time is when a commit was
-- authored, which is truly out of order: most commits come within days, some years late.

CREATE STREAM commits (
  event_id text NOT NULL,
  type text,
  repo text NOT NULL,
  author text,
  committer text,
  authored_at timestamptz,
  committed_at timestamptz,
  parents int,
  files int,
  dirs text[],
  subject_chars int,
  WATERMARK FOR authored_at AS authored_at - INTERVAL '30 days'
) WITH (topic = 'commits', format = 'json');

CREATE TABLE repositories (name text PRIMARY KEY, language text NOT NULL, year int);

INSERT INTO repositories VALUES
  ('duckdb/duckdb', 'C++', 2018), ('redpanda-data/redpanda', 'C++', 2018), ('etcd-io/etcd', 'Go', 2013),
  ('risingwavelabs/risingwave', 'Rust', 2022), ('apache/kafka', 'Java', 2011), ('facebookincubator/velox', 'C++', 2021),
  ('tigerbeetle/tigerbeetle', 'Zig', 2020), ('delta-io/delta', 'Scala', 2019), ('simdjson/simdjson', 'C++', 2018),
  ('apache/fluss', 'Java', 2024), ('google/leveldb', 'C++', 2011);

-- Each week of each repository, updated as commits arrive, late ones too.
CREATE MATERIALIZED VIEW weekly AS
SELECT repo, window_start AS week, count(*) AS commits, count(DISTINCT author) AS authors
FROM TUMBLE(commits, authored_at, INTERVAL '7 days')
GROUP BY repo, window_start, window_end;

-- The same, but each week is told once, when the watermark says that it is over.
CREATE MATERIALIZED VIEW weekly_final AS
SELECT repo, window_start AS week, count(*) AS commits, count(DISTINCT author) AS authors
FROM TUMBLE(commits, authored_at, INTERVAL '7 days')
GROUP BY repo, window_start, window_end
EMIT ON WINDOW CLOSE;

-- Unbounded keys.
CREATE MATERIALIZED VIEW author_totals AS
SELECT author, count(*) AS commits, sum(files) AS files, count(DISTINCT repo) AS repos, max(authored_at) AS last_commit
FROM commits
GROUP BY author;

-- One row for each directory that a commit touched.
CREATE MATERIALIZED VIEW hot_dirs AS
SELECT repo, dir, count(*) AS commits
FROM commits, unnest(dirs) AS d(dir)
GROUP BY repo, dir;

-- A view over a view: how many authors have so many commits.
CREATE MATERIALIZED VIEW authors_by_size AS
SELECT CASE WHEN commits >= 1000 THEN '1000+' WHEN commits >= 100 THEN '100-999' WHEN commits >= 10 THEN '10-99' ELSE '1-9' END AS size,
       count(*) AS authors, sum(commits) AS commits
FROM author_totals
GROUP BY 1;

-- The stream joined with the table.
CREATE MATERIALIZED VIEW by_language AS
SELECT r.language, count(*) AS commits, count(DISTINCT c.author) AS authors, min(r.year) AS since
FROM commits c JOIN repositories r ON r.name = c.repo
GROUP BY r.language;
