-- Uploads that are to be deleted: whoever deletes a photo or a video deletes its file after the
-- transaction, and may be killed before.
CREATE TABLE discarded_files (
  file text PRIMARY KEY
);

CREATE FUNCTION discard_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO discarded_files VALUES (old.file) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER discard_file AFTER DELETE ON photos FOR EACH ROW EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_file AFTER DELETE ON videos FOR EACH ROW EXECUTE FUNCTION discard_file();
