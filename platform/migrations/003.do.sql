-- Whose uploads lie in a folder: their names begin with it, and no other file there is ever swept away.
ALTER TABLE installation ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
