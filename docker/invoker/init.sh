#!/bin/bash
# Entry point of the image, where OpenWhisk's deployments look for it: /init.sh [--id N] [--uniqueName NAME] ...
# The program itself reads the CONFIG_ variables, INVOKER_OPTS and the rest; it becomes this process and gets its signals.
exec /usr/bin/cwhisk invoker "$@"
