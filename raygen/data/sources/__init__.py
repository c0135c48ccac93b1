"""Where samples come from: folders and objects, compressed files, Parquet."""
