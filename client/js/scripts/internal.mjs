/**
 * Members of internal objects: the build shortens their names. None of them may be a member of a public type, of a frame,
 * or of an object of the platform. `findPublic` looks at the public types; the tests of dist/ see the rest.
 */
export const INTERNAL = [
  // The machine, its delays and its events.
  ..."credential question wait renewal problem refused refusals failures silenceMs moving".split(" "),
  ..."delays socket refresh change lifetimeMs afterMs ending".split(" "),
  // Emitters, connections, commands, and what channels need of their client.
  ..."entries removeAll isUp done fail start end emit listener remove commands closed flush reset forget take ask target onTicket ended sockets onOpen onFrame onFault onEnd dispatch dispose opened lost receive settle failAll isLive isClosed hold want report".split(" "),
];

export const internalNames = new RegExp(`^(${INTERNAL.join("|")})$`);

/** The internal names that a file of public types has as members. */
export function findPublic(types) {
  return INTERNAL.filter((name) => new RegExp(`^\\s+(readonly |get )?${name}[?(:<]`, "m").test(types));
}
