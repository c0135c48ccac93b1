"""Tables: Parquet, Arrow, and what the library `datasets` keeps in them."""
