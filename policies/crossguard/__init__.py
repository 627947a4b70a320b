"""What every pack needs: property values, resources, rules, and the server that the engine talks to."""
