/** The path of the program. Throws an error whose message says what to do when there is none for this machine. */
export function program(): string;
