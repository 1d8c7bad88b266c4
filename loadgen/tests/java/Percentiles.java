import java.io.File;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

/** Prints each interval of a log, and the sum: begin and end in ms, count, maximum, percentiles. */
public final class Percentiles {
    private static final double[] PERCENTILES = {50, 90, 99, 99.9, 100};

    public static void main(String[] arguments) throws Exception {
        Histogram sum = null;
        try (var reader = new HistogramLogReader(new File(arguments[0]))) {
            while (reader.hasNext()) {
                var interval = (Histogram) reader.nextIntervalHistogram();
                print(interval.getStartTimeStamp() + " " + interval.getEndTimeStamp(), interval);
                if (sum == null) {
                    sum = interval.copy();
                    sum.setAutoResize(true);
                } else {
                    sum.add(interval);
                }
            }
        }
        print("sum", sum);
    }

    private static void print(String name, Histogram histogram) {
        var line = new StringBuilder(name);
        line.append(' ').append(histogram.getTotalCount());
        line.append(' ').append(histogram.getMaxValue());
        for (double percentile : PERCENTILES) {
            line.append(' ').append(histogram.getValueAtPercentile(percentile));
        }
        System.out.println(line);
    }
}
