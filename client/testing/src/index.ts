export { CarillonError } from "./api.js";
export type { Action, ActionMembers, Done, GapReason, NewRule, On, Rule, RuleMatch, Rules, Target, Time } from "./faults.js";
export { WaitTimeout, type Journal, type Waits } from "./journal.js";
export type { StartOptions } from "./process.js";
export { attachCarillon, CarillonServer, startCarillon, type Broker, type Clock, type Known, type PublishOptions, type SessionTarget } from "./server.js";
export type * from "./types.js";
