"""Where things land: ClickHouse, embedded or not, and the channels that alerts go to."""
