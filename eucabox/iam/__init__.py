"""Who may do what: accounts, keys, certificates, policies; never what is done then."""
