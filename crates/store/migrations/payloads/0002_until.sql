-- Until when content is kept whose key or plan says for how long, Unix milliseconds; null for as long as the environment says.
ALTER TABLE payloads ADD COLUMN until_ms INTEGER;

CREATE INDEX payloads_until ON payloads (until_ms) WHERE until_ms IS NOT NULL;
