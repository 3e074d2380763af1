"""One data source per file; registered in ``supernets.DATA_SOURCES``."""
