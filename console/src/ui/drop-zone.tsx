import { useState } from 'react';
import type { DragEvent, ReactNode } from 'react';

interface DropZoneProps {
  className: string;
  /** What the region is called. */
  label: string;
  onFiles: (files: readonly File[]) => void;
  children: ReactNode;
}

/** A part of the page that takes files which are dropped on it. A button does the same for those who drop nothing. */
export function DropZone({ className, label, onFiles, children }: DropZoneProps) {
  const [isOver, setIsOver] = useState(false);
  const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer.types.includes('Files');
  const over = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setIsOver(true);
  };
  const drop = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setIsOver(false);
    onFiles([...event.dataTransfer.files]);
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a button beside it does the same by keyboard
    <section
      className={`${className} ${isOver ? 'drop-over' : ''}`}
      aria-label={label}
      onDragOver={over}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      {children}
    </section>
  );
}
