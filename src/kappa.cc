// The program: everything is in cli/.
#include "cli/main.h"

int main(int argc, char** argv) { return kappa::cli::Main(argc, argv); }
