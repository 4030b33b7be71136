/* cmd/roles.h -- the roles that `cwhisk ROLE` knows. Thread: main. */
#pragma once

/* argv[0] is the role's name; environ as main got it. Returns the exit status. */
int role_invoker(int argc, char **argv, char **environment);
int role_ctl(int argc, char **argv, char **environment);
int role_agent(int argc, char **argv, char **environment);
int role_probe(int argc, char **argv, char **environment);
