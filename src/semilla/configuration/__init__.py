"""Every setting: its schema, where its value comes from, and what it was once called."""
