"""The console's process: what people's browsers ask. The receiver, which must answer quickly and always, is another."""
