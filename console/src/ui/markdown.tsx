import { Fragment, useMemo } from 'react';
import type { ReactNode } from 'react';
import { lexer } from 'marked';
import type { Token, Tokens } from 'marked';

/**
 * What an agent wrote, as elements and never as HTML: markup in it is shown as text, an image is a link that nothing fetches,
 * and a link leads to the web or a mail address, in another tab that learns nothing of this page.
 */
export function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => lexer(text, { gfm: true, breaks: true }), [text]);
  return <div className="markdown">{all(tokens)}</div>;
}

function all(tokens: readonly Token[] | undefined): ReactNode {
  // Tokens have no id; all of them are made anew with the text.
  return tokens?.map((token, place) => <Fragment key={place}>{one(token)}</Fragment>);
}

/** The lexer's tokens are a union that plugins may extend, so each kind is narrowed by its name. */
function is<T extends Tokens.Generic>(token: Token, type: string): token is T & Token {
  return token.type === type;
}

function one(token: Token): ReactNode {
  if (is<Tokens.Link>(token, 'link')) return <SafeLink href={token.href}>{all(token.tokens)}</SafeLink>;
  if (is<Tokens.Image>(token, 'image')) return <SafeLink href={token.href}>Image: {token.text || token.href}</SafeLink>;
  if (is<Tokens.Code>(token, 'code'))
    return (
      <pre tabIndex={0}>
        <code>{token.text}</code>
      </pre>
    );
  if (is<Tokens.List>(token, 'list')) return <List list={token} />;
  if (is<Tokens.Table>(token, 'table')) return <Table table={token} />;
  if (is<Tokens.Heading>(token, 'heading')) return <p className={`heading heading-${token.depth}`}>{all(token.tokens)}</p>;
  return plain(token);
}

function plain(token: Token): ReactNode {
  const inner = 'tokens' in token && token.tokens ? all(token.tokens) : undefined;
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'hr':
      return <hr />;
    case 'br':
      return <br />;
    case 'paragraph':
      return <p>{inner}</p>;
    case 'blockquote':
      return <blockquote>{inner}</blockquote>;
    case 'strong':
      return <strong>{inner}</strong>;
    case 'em':
      return <em>{inner}</em>;
    case 'del':
      return <del>{inner}</del>;
    case 'codespan':
      return <code>{textOf(token)}</code>;
    default:
      return inner ?? textOf(token);
  }
}

/** What was written: the lexer's own `text` is escaped for HTML in some kinds. */
function textOf(token: Token): string {
  return token.type === 'text' || token.type === 'codespan' || token.type === 'escape' ? unescaped(token) : token.raw;
}

function unescaped(token: Token): string {
  return 'text' in token && typeof token.text === 'string' ? token.text : token.raw;
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, place) => (
    <li key={place}>
      {item.task && <input type="checkbox" checked={item.checked === true} disabled aria-label="Done" />}
      {all(item.tokens)}
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table }: { table: Tokens.Table }) {
  return (
    <div className="table-scroll" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {table.header.map((cell, place) => (
              <th key={place} scope="col">
                {all(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, place) => (
            <tr key={place}>
              {row.map((cell, column) => (
                <td key={column}>{all(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SafeLink({ href, children }: { href: string; children: ReactNode }) {
  const url = URL.parse(href);
  if (!url || !['https:', 'http:', 'mailto:'].includes(url.protocol)) return <span>{children}</span>;
  return (
    <a href={url.href} target="_blank" rel="noreferrer noopener nofollow" title={url.href}>
      {children}
    </a>
  );
}
