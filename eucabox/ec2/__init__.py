"""What several EC2 verbs need of one kind of row: instances, groups, tags, images; never HTTP."""
