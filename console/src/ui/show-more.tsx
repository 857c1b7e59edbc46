interface ShowMoreProps {
  list: { hasNextPage: boolean; fetchNextPage: () => unknown };
  text?: string;
  className?: string;
}

/** The button that asks for the next page of a list, while there is one. */
export function ShowMore({ list, text = 'Show more', className }: ShowMoreProps) {
  if (!list.hasNextPage) return null;
  return (
    <button type="button" className={className} onClick={() => void list.fetchNextPage()}>
      {text}
    </button>
  );
}
