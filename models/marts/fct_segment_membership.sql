-- Who is in which segment on the latest as-of date. A view of int_latest_user_segments, a branch for each segment: to
-- write every user's segments as rows would take longer than to evaluate them, and asking for one reads two columns.
with final as (
    -- The table is named in each branch, not imported once: DuckDB would keep a shared CTE as a copy of all columns.
    {{- segments_as_rows(ref('int_latest_user_segments'), ['as_of_date', 'user_id']) }}

)

select * from final
