/** The cluster cannot run an instance at present, in words for an operator: no node takes it, its image or its claim is missing, a quota. */
export class PlacementError extends Error {}

/** The node of an instance does not answer, so whether its gateway runs is unknown. */
export class NodeLostError extends Error {}
