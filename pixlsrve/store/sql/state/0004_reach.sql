-- What each device was last told about the way home: the endpoint in the configuration that it was given (HOST:PORT).
ALTER TABLE peer ADD COLUMN told_endpoint TEXT;
