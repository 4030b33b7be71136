"""Parts of the system tests: the services that an invoker needs, and the controller that it talks to."""
