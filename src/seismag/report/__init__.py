"""The publication: text, tables, figures and a page, in which every number is quoted from a recorded result."""
