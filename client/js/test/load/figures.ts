/** The value that so large a share of the values does not exceed, in whole numbers. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN);
}

/** Prints one measurement, as README.md publishes it. */
export function row(name: string, figures: Record<string, string | number>): void {
  const text = Object.entries(figures).map(([what, value]) => `${what} ${value}`);
  console.log(`${name}: ${text.join("; ")}`);
}
