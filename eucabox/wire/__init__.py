"""How clients speak: requests become verbs with arguments, results XML; never does work."""
