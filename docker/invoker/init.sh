#!/bin/bash
# Entry point of the image, where OpenWhisk's deployments look for it: /init.sh [--id N] [--uniqueName NAME] ...
# The program itself reads the CONFIG_ variables, INVOKER_OPTS and the rest; it becomes this process and gets its signals.

# A container that is restarted keeps its files, so the journal is there by default, and nothing is lost by a crash. Everything else
# that names the directory wins over this; CWHISK_DATA_DIR= means none, and where nothing can be written there is none.
data=/var/lib/cwhisk
if [ -z "${CWHISK_DATA_DIR+set}" ] && { [ -d "$data" ] || mkdir -m 700 "$data"; } 2>/dev/null && [ -w "$data" ]; then
    export JAVA_OPTS="-Dcwhisk.data-dir=$data ${JAVA_OPTS:-}"
fi
exec /usr/bin/cwhisk invoker "$@"
