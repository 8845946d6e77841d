// The program: one subcommand a file.
int main() { return 0; }
