"""What the audit asks of a table, a store or predictions: one question a function, one ``CheckResult`` an answer."""
