/** What operators filter workflows by in the Temporal Web UI. All are keywords. */
export const SEARCH_ATTRIBUTES = ['AccountId', 'InstanceId', 'Operation'];
