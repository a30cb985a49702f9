"""What data layers feed, undone to pictures on a contact sheet."""
