"""What the processes of segel say to each other: typed, bounded, length-prefixed frames over inherited sockets."""
