"""The operator's verbs of the service bootstrap: mail, log, settings, accounts, sessions."""
