"""Music as notes: MIDI files, and their tokens by name."""
