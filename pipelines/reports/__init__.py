"""What stages leave for people: tables, pages, model folders."""
