"""Every setting: its schema, where its value comes from, and its earlier names."""
