"""What the packs share: property values, a rule's record, and the server that runs a pack."""
