"""Memory and minutes that the jobs of each rule ask for, estimated from the configuration before anything has run."""
