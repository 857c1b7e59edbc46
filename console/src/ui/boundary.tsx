import { Component } from 'react';
import type { ReactNode } from 'react';
import { Problem } from './problem.tsx';

/** A mistake in a page is told in its place, and the navigation goes on. A newer console may have replaced files of this one. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <div className="page">
        <h1>This page has failed</h1>
        <Problem error={this.state.error} />
        <button type="button" onClick={() => globalThis.location.reload()}>
          Load it again
        </button>
      </div>
    );
  }
}
