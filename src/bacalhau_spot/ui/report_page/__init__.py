"""The page of `report`: its tables, its charts, and the template."""
