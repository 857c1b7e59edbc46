/** Into how many shards the instances of a node are divided. A worker watches the instances of the shards that it leases. */
export const SHARDS = 16;
