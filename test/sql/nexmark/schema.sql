CREATE STREAM person (
  id bigint, name text, "emailAddress" text, "creditCard" text, city text, state text, "dateTime" timestamp, extra text,
  WATERMARK FOR "dateTime" AS "dateTime" - INTERVAL '4 seconds'
) WITH (json_timestamps = 'ms');

CREATE STREAM auction (
  id bigint, "itemName" text, description text, "initialBid" bigint, reserve bigint, "dateTime" timestamp, expires timestamp,
  seller bigint, category bigint, extra text,
  WATERMARK FOR "dateTime" AS "dateTime" - INTERVAL '4 seconds'
) WITH (json_timestamps = 'ms');

CREATE STREAM bid (
  auction bigint, bidder bigint, price bigint, channel text, url text, "dateTime" timestamp, extra text,
  WATERMARK FOR "dateTime" AS "dateTime" - INTERVAL '4 seconds'
) WITH (json_timestamps = 'ms');

CREATE TABLE side_input (key bigint PRIMARY KEY, value text);
