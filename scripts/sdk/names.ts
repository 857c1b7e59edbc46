/** `rotateSecret` as `rotate_secret`. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `webhooks.rotateSecret` as `WebhooksRotateSecret`. */
export function pascalCase(name: string): string {
  return name
    .split(/[._]/)
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('');
}

/** What makes a parameter a part of a path: one that is called `path` has several. */
export function encoderOf(parameter: string): 'segment' | 'segments' {
  return parameter === 'path' ? 'segments' : 'segment';
}

/** The text in lines of at most this many characters, where it has spaces; its own line breaks stay. */
export function wrapText(text: string, width: number): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines = [''];
    for (const word of paragraph.split(' ')) {
      const line = lines.at(-1) ?? '';
      if (line === '') lines[lines.length - 1] = word;
      else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
      else lines.push(word);
    }
    return lines;
  });
}
