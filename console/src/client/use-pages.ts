import { useInfiniteQuery } from '@tanstack/react-query';

/** A list of the API, page by page. `fetchPage` gets the cursor of the page that is wanted, and none for the first one. */
export function usePages<Page extends { nextCursor: string | null }>(
  queryKey: readonly unknown[],
  fetchPage: (place: { cursor?: string }) => Promise<Page>,
  options: { enabled?: boolean } = {},
) {
  return useInfiniteQuery({
    ...options,
    queryKey,
    queryFn: ({ pageParam }) => fetchPage(pageParam === '' ? {} : { cursor: pageParam }),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor,
  });
}
