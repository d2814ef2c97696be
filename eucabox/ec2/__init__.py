"""What several EC2 actions share: instances, groups, tags, images, filters."""
