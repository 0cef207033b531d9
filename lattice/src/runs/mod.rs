//! One run on disk and in the process table: its directory, its start, its end, and who finishes it for the dead.
