/** What every path of an operation stands below. */
export const BASE_PATH = '/v1';
