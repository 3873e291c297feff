-- Where a mail goes, apart, so that entries can be chosen and grouped by it. Entries planned before say it in `route` only.

ALTER TABLE entries ADD COLUMN mx TEXT;
ALTER TABLE entries ADD COLUMN address TEXT;
ALTER TABLE entries ADD COLUMN port INTEGER;
